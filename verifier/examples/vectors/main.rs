//! Writes the test vectors to `verifier/vectors/`. They come out the same each time; a test holds the files to it.
//!
//! `cargo run -p tessera-verifier --example vectors`

mod feed;
mod files;
mod sign;
mod tokens;

fn main() -> std::io::Result<()> {
    for (path, text) in files::all() {
        std::fs::write(&path, text)?;
        println!("{}", path.display());
    }
    Ok(())
}
