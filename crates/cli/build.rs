//! Says what to run when the page of `serve --web` is to be built in and is not there yet.

use std::{env, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_WEB").is_none() {
        return;
    }
    for file in ["index.html", "style.css", "icon.svg", "page.js"] {
        let path = format!("../../npm/dist/page/{file}");
        println!("cargo::rerun-if-changed={path}");
        if !Path::new(&path).exists() {
            println!(
                "cargo::error=the feature `web` wants npm/dist/page/{file}, which is not made yet: \
                 run `cargo xtask wasm`; or run `cargo xtask web`, which does both"
            );
        }
    }
}
