//! Frames as people may see them, for pages that show or keep what passes.

use wasm_bindgen::prelude::wasm_bindgen;

/// A frame without its secrets: `[redacted]` stands in their place.
#[wasm_bindgen]
#[must_use]
pub fn redacted(frame: &str) -> String {
    epode_proto::redacted(frame.as_bytes())
}
