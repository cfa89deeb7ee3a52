bus::link!();

fn main() {}
