//! Compiles the protos in plain Rust, so that the build needs no `protoc`.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protos");
    println!("cargo::rerun-if-changed={}", root.display());
    let files = [
        "routing_service",
        "agent_service",
        "admin_service",
        "policy_service",
        "policy",
    ]
    .map(|name| root.join(format!("csroute/v1/{name}.proto")));
    // What a status carries is not imported by anything; clients that go by reflection ask for it.
    let details = root.join("google/rpc/error_details.proto");
    let mut compiler = protox::Compiler::new([root])?;
    compiler.include_imports(true).open_files(files)?.open_file(details)?;
    // For reflection, custom options and all.
    let descriptors = Path::new(&std::env::var("OUT_DIR")?).join("descriptors.bin");
    std::fs::write(descriptors, compiler.encode_file_descriptor_set())?;
    prost_build::Config::new()
        .btree_map(["."])
        .include_file("pb.rs")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
