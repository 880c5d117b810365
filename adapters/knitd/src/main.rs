//! `knitd`: parse, then serve; or be the shim of a Worker, which is the same program in another role.

fn main() -> std::process::ExitCode {
    knitd::server::main()
}
