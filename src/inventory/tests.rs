//! What a user relies on: right packages from good images, honest gaps from bad ones.

use super::*;

fn nothing(_: &FileSeen<'_>) -> Vec<Finding> {
    Vec::new()
}

#[test]
fn scratch() {
    let path = std::env::var("SCRATCH").unwrap();
    let inv = file(Path::new(&path), &Limits::default(), &nothing).unwrap();
    eprintln!("{:#?}", inv.layers);
    eprintln!("{:?} {:?} {}", inv.os, inv.gaps, inv.packages.len());
    for p in &inv.packages {
        eprintln!("{} {} {} {:?} {:?}", p.ecosystem, p.purl, p.path, p.owner, p.source);
    }
    eprintln!("{:#?} {:#?}", inv.files, inv.config);
}
