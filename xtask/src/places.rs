//! Where things lie on this machine: what is built here must not say so.
//!
//! What is built is the affair of the steps.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{
    failure::Failure,
    workspace::{self, Workspace},
};

/// The folders that source files come from, and what each is called instead.
pub(crate) struct Places(Vec<(PathBuf, &'static str)>);

impl Places {
    /// Those of a compiler.
    ///
    /// # Errors
    /// [`Failure::Missing`] when it does not tell where its standard library is.
    pub(crate) fn of(workspace: &Workspace, rustc: &str) -> Result<Self, Failure> {
        let sysroot = workspace::output(workspace.command(rustc).args(["--print", "sysroot"]));
        let sysroot = sysroot.ok_or_else(|| {
            Failure::Missing(format!("`{rustc} --print sysroot` fails: is it installed?"))
        })?;
        let library = Path::new(sysroot.trim()).join("lib/rustlib");
        let home = env::home_dir().map(|home| home.join(".cargo"));
        let cargo = env::var_os("CARGO_HOME").map(PathBuf::from).or(home);
        let mut places = vec![(library, "rust"), (workspace.root().to_owned(), "epode")];
        places.extend(cargo.map(|cargo| (cargo, "cargo")));
        Ok(Self(places))
    }

    /// What makes the compiler write the other names.
    pub(crate) fn flags(&self) -> impl Iterator<Item = String> {
        let flag = |(place, name): &(PathBuf, &str)| {
            format!("--remap-path-prefix={}={name}", place.display())
        };
        self.0.iter().map(flag)
    }

    /// Looks for them in a file.
    ///
    /// # Errors
    /// [`Failure::Missing`] for the first that is in it, or if it cannot be read.
    pub(crate) fn are_not_in(&self, file: &Path) -> Result<(), Failure> {
        let shown = file.display();
        let bytes = fs::read(file)
            .map_err(|error| Failure::Missing(format!("cannot read {shown}: {error}")))?;
        match self.0.iter().find(|(place, _)| contains(&bytes, &place.to_string_lossy())) {
            None => Ok(()),
            Some((place, _)) => Err(Failure::Missing(format!(
                "{shown} names the folder {} of this machine: `strings` shows where; add what \
                 leaves it out to the flags in xtask/src/wasm.rs",
                place.display()
            ))),
        }
    }
}

/// As a path, and not as the beginning of another one's name.
fn contains(bytes: &[u8], folder: &str) -> bool {
    let path = format!("{}/", folder.trim_end_matches('/'));
    bytes.windows(path.len()).any(|window| window == path.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places(vec![("/home/me/.cargo".into(), "cargo"), ("/src/epode".into(), "epode")])
    }

    /// Looks into a file of this name with these bytes in it.
    fn look(name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let file = env::temp_dir().join(format!("{}-{name}", std::process::id()));
        fs::write(&file, bytes).unwrap();
        let found = places().are_not_in(&file);
        fs::remove_file(&file).unwrap();
        found
    }

    #[test]
    fn the_compiler_is_told_other_names() {
        let flags: Vec<String> = places().flags().collect();
        let expected =
            ["--remap-path-prefix=/home/me/.cargo=cargo", "--remap-path-prefix=/src/epode=epode"];
        assert_eq!(flags, expected);
    }

    #[test]
    fn a_file_with_a_place_in_it_is_refused() {
        look("none", b"\0asm cargo/registry/src/x.rs /src/epodes/x.rs").unwrap();
        for (bytes, place) in [
            (&b"\0/src/epode/crates/x.rs\0"[..], "/src/epode "),
            (b"/home/me/.cargo/registry/x.rs", "/home/me/.cargo "),
            (b"/src//home/me/.cargo/", "/home/me/.cargo "),
        ] {
            let error = look("some", bytes).unwrap_err().to_string();
            assert!(error.contains(&format!("names the folder {place}of this machine")), "{error}");
        }
        let error = places().are_not_in(Path::new("no-such-file")).unwrap_err();
        assert!(error.to_string().starts_with("cannot read no-such-file: "), "{error}");
    }
}
