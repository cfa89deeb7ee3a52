use bus::prelude::*;

pub fn main() {
    #[event(exchange = "order", key = "order.submit")]
    struct Order;

    #[listener]
    fn billing(order: &Order) {
        let _ = order;
    }

    #[derive(Default)]
    struct Ledger;

    #[service]
    impl Ledger {
        #[command]
        fn balance(&self) -> u32 {
            1
        }
    }

    let _ = Order.submit();
    let _ = balance::execute();
}
