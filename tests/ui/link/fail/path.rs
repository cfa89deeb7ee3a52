bus::link!(billing::invoices);

fn main() {}
