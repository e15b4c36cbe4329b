//! The JavaScript around a module of wasm: `bindgen MODULE FOLDER`.
//!
//! A program of its own, so that only the step that needs it compiles what it is made of.

use std::{env, fs, path::Path, process::ExitCode};

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [module, folder] = &arguments[..] else {
        eprintln!("bindgen MODULE FOLDER");
        return ExitCode::from(2);
    };
    match generate(module, folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bindgen: {module}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(module: &str, folder: &str) -> Result<(), String> {
    let path = Path::new(module);
    let name = path.file_stem().and_then(|name| name.to_str()).ok_or("it has no name")?;
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let mut bindgen = Bindgen::new();
    bindgen.input_bytes(name, without_features(bytes)?);
    bindgen.typescript(true).remove_producers_section(true);
    let bindgen = bindgen.web(true).map_err(|error| format!("{error:#}"))?;
    bindgen.generate(folder).map_err(|error| format!("{error:#}"))
}

/// The module, saying that it has none of some features, although its compiler or standard library
/// has them: the JavaScript around it does not use them then, and `wasm2js` can read it.
fn without_features(mut module: Vec<u8>) -> Result<Vec<u8>, String> {
    for feature in FEATURES {
        let places: Vec<usize> = module
            .windows(feature.len())
            .enumerate()
            .filter_map(|(place, bytes)| (bytes == *feature).then_some(place))
            .collect();
        match places[..] {
            [] => {}
            [place] => module[place] = b'-',
            _ => return Err("it says more than once which features it has".to_owned()),
        }
    }
    Ok(module)
}

/// As the section `target_features` has them: used, and a name of this length.
const FEATURES: &[&[u8]] = &[b"+\x0freference-types", b"+\x0amultivalue"];

#[cfg(test)]
mod tests {
    use super::without_features;

    #[test]
    fn only_two_features_are_denied() {
        let has = b"\0asm+\x08sign-ext+\x0freference-types+\x0amultivalue".to_vec();
        let denied = b"\0asm+\x08sign-ext-\x0freference-types-\x0amultivalue".to_vec();
        assert_eq!(without_features(has.clone()), Ok(denied.clone()));
        assert_eq!(without_features(denied.clone()), Ok(denied));
        assert!(without_features([has.clone(), has].concat()).is_err());
    }
}
