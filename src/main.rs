//! The program: it parses the command line and calls the rooms that do the work.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use zeroizing_alloc::ZeroAlloc;

/// What is freed is wiped first: tokens, leases and credentials pass through buffers of libraries that don't.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<MiMalloc> = ZeroAlloc(MiMalloc);

#[tokio::main]
async fn main() -> ExitCode {
    sluice::cli::run().await
}
