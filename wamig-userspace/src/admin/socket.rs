//! Binding the control socket: a dead daemon's is replaced, a live one's is respected.

use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Someone answers there.
    #[error("another wamig is running: it answers at {}; stop it, or give this one a control_socket of its own", .0.display())]
    Live(PathBuf),
    /// The path is something else.
    #[error("{} is in the way and is no socket; move it, or change control_socket", .0.display())]
    NoSocket(PathBuf),
    /// The operating system refuses.
    #[error("the control socket {} cannot be made: {source}; check the directory's permissions or change control_socket", path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Binds `path`, mode 0660, and makes its directory if that is missing.
///
/// # Errors
/// [`SocketError`], with its remedy.
pub async fn bind(path: &Path) -> Result<UnixListener, SocketError> {
    let refused = |source| SocketError::Refused { path: path.to_owned(), source };
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir).map_err(refused)?;
    }
    match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(refused(e)),
        Ok(meta) if !meta.file_type().is_socket() => return Err(SocketError::NoSocket(path.to_owned())),
        Ok(_) => match UnixStream::connect(path).await {
            Ok(_) => return Err(SocketError::Live(path.to_owned())),
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => {
                tracing::info!(path = %path.display(), "replacing the control socket of a daemon that is gone");
                std::fs::remove_file(path).map_err(refused)?;
            }
            Err(e) => return Err(refused(e)),
        },
    }
    let listener = UnixListener::bind(path).map_err(refused)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(refused)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_for_owner_and_group_and_its_directory_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/ctl.sock");
        let _listener = bind(&path).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    }

    #[tokio::test]
    async fn a_dead_daemons_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ctl.sock");
        drop(bind(&path).await.unwrap());
        assert!(path.exists(), "left behind, as after kill -9");
        bind(&path).await.unwrap();
    }

    #[tokio::test]
    async fn a_live_daemons_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ctl.sock");
        let _live = bind(&path).await.unwrap();
        let said = bind(&path).await.unwrap_err().to_string();
        assert_eq!(
            said,
            format!(
                "another wamig is running: it answers at {}; stop it, or give this one a control_socket of its own",
                path.display()
            )
        );
    }

    #[tokio::test]
    async fn a_file_in_the_way_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ctl.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path).await, Err(SocketError::NoSocket(_))));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}
