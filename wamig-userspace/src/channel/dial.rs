//! Dialling one endpoint for ever: a new attempt follows within
//! [`super::Settings::backoff_max`], however long the other side was away.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, sleep, timeout};

use super::endpoint::Endpoint;
use super::stream::Stream;
use super::{ChannelEvent, Context, pump};

/// Returns never.
pub(super) async fn dial(context: Arc<Context>, index: usize, endpoint: Endpoint) {
    let (least, most) = (context.settings.backoff_min, context.settings.backoff_max);
    let mut delay = least;
    loop {
        let begun = Instant::now();
        match connect(&context, &endpoint).await {
            Ok(stream) => {
                // One that ends at once must not make us dial without pause.
                let opened = pump::run(&context, index, stream).await;
                delay = if opened && begun.elapsed() >= most { least } else { (delay * 2).clamp(least, most) };
            }
            Err(why) => {
                context.tell(ChannelEvent::Failed { endpoint: index, why }).await;
                delay = (delay * 2).clamp(least, most);
            }
        }
        sleep(delay).await;
    }
}

async fn connect(context: &Context, endpoint: &Endpoint) -> Result<Stream, String> {
    let patience = context.settings.backoff_max.max(Duration::from_millis(100));
    match endpoint {
        Endpoint::Tcp { host, port } => {
            let tcp = connect_tcp(host, *port, patience).await?;
            Ok(Stream::new(tcp, endpoint.to_string()))
        }
        Endpoint::Tls { host, port } => {
            let tls = context.settings.tls.as_ref().ok_or("no certificate is configured")?;
            let tcp = connect_tcp(host, *port, patience).await?;
            let shaken = timeout(context.settings.handshake, tls.connect(tcp, &endpoint.to_string())).await;
            shaken.map_err(|_| "no TLS handshake in time".to_owned())?
        }
        Endpoint::Unix(path) => {
            let unix = UnixStream::connect(path).await.map_err(|e| format!("{endpoint}: {e}"))?;
            Ok(Stream::new(unix, endpoint.to_string()))
        }
        Endpoint::ListenTcp(_) | Endpoint::ListenTls(_) | Endpoint::ListenUnix(_) => {
            Err(format!("{endpoint} is listened on, not dialled"))
        }
    }
}

/// A connection to the first of the host's addresses that takes one.
async fn connect_tcp(host: &str, port: u16, patience: Duration) -> Result<TcpStream, String> {
    let addresses = timeout(Duration::from_secs(5), lookup_host((host, port))).await;
    let addresses = addresses.map_err(|_| format!("{host}: no answer from the resolver"))?;
    let mut why = format!("{host}: no address");
    for address in addresses.map_err(|e| format!("{host}: {e}"))? {
        match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // Messages are small and urgent. Failure would cost time, not correctness.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Ok(Err(error)) => why = format!("{address}: {error}"),
            Err(_) => why = format!("{address}: no answer"),
        }
    }
    Err(why)
}
