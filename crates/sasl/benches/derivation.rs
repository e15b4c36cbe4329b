//! Key derivation beside the `pbkdf2` crate in the same run: nanoseconds per iteration, the least
//! of many runs taken in turn, and their ratio. Ratios count; the machine may be noisy.

use std::{hint::black_box, num::NonZeroU32, time::Instant};

use epode_sasl::scram::{Derivation, Hash};

const RUNS: usize = 60;

fn main() {
    println!(
        "{:8} {:>10} {:>12} {:>14} {:>7}",
        "hash", "iterations", "epode ns/it", "pbkdf2 ns/it", "ratio"
    );
    for hash in Hash::ALL {
        for iterations in [4096, 10_000] {
            let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
            for _ in 0..RUNS {
                ours = ours.min(time(iterations, || epode(hash, iterations)));
                theirs = theirs.min(time(iterations, || oracle(hash, iterations)));
            }
            let ratio = ours / theirs;
            println!("{hash:8} {iterations:>10} {ours:>12.1} {theirs:>14.1} {ratio:>7.2}");
        }
    }
}

/// Nanoseconds per iteration of one run.
fn time(iterations: u32, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e9 / f64::from(iterations)
}

fn epode(hash: Hash, iterations: u32) {
    let iterations = NonZeroU32::new(iterations).expect("it is not 0");
    black_box(Derivation::new(hash, black_box("pencil"), SALT.to_vec(), iterations).run());
}

fn oracle(hash: Hash, iterations: u32) {
    let mut out = vec![0; hash.output_length()];
    let derive = match hash {
        Hash::Sha1 => pbkdf2::pbkdf2_hmac::<sha1::Sha1>,
        Hash::Sha256 => pbkdf2::pbkdf2_hmac::<sha2::Sha256>,
        Hash::Sha384 => pbkdf2::pbkdf2_hmac::<sha2::Sha384>,
        Hash::Sha512 => pbkdf2::pbkdf2_hmac::<sha2::Sha512>,
    };
    derive(black_box(b"pencil"), SALT, iterations, &mut out);
    black_box(out);
}

const SALT: &[u8] = b"0123456789abcdef";
