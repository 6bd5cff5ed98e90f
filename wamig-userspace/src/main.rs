//! The program `wamig`; see [`wamig_userspace::cli`].

fn main() -> std::process::ExitCode {
    wamig_userspace::cli::main()
}
