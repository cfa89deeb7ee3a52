bus::link!(std, core);

mod billing {
    bus::service_name!("billing");
    bus::service_name!("billing.invoices", crate = ::bus);
}

pub fn main() {
    bus::link!(std, crate = ::bus);
}
