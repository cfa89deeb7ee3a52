bus::link!(billing);

fn main() {}
