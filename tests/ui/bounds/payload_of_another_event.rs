use bus::prelude::*;

#[event(exchange = "order", key = "order.submit")]
struct Order;

#[event(exchange = "invoice", key = "invoice.paid")]
struct Invoice;

#[listener(Order::SUBMIT)]
fn billing(invoice: &Invoice) {
    let _ = invoice;
}

fn main() {}
