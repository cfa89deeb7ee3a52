bus::service_name!("billing", "logistic");

fn main() {}
