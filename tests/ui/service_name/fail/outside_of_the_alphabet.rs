bus::service_name!("billing department");

fn main() {}
