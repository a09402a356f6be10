"""The page of `build --timings`: what a build did when, like `cargo build --timings`."""
