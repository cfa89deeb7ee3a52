//! On amqprs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use amqprs::callbacks::ChannelCallback;
use amqprs::channel::{
    BasicAckArguments, BasicConsumeArguments, BasicPublishArguments, BasicQosArguments, Channel,
    ConfirmSelectArguments,
};
use amqprs::connection::{Connection, OpenConnectionArguments};
use amqprs::{Ack, BasicProperties, Cancel, CloseChannel, Nack, Return};
use async_trait::async_trait;
use autobus_bench_amqp::{Meter, Order, Site};
use tokio::sync::Semaphore;

use super::{BATCH, PREFETCH, run};
use crate::measure::{Failed, WINDOW, finished};

async fn connect(site: &Site) -> Result<(Connection, Channel), Failed> {
    let mut arguments = OpenConnectionArguments::new("127.0.0.1", site.port(), "guest", "guest");
    arguments.virtual_host(site.name());
    let connection = Connection::open(&arguments).await?;
    let channel = connection.open_channel(None).await?;
    Ok((connection, channel))
}

/// What is not confirmed; a permit for each that may be sent.
struct Confirms {
    room: Arc<Semaphore>,
    first: u64,
    open: VecDeque<bool>,
}

#[async_trait]
impl ChannelCallback for Confirms {
    async fn close(
        &mut self,
        _: &Channel,
        close: CloseChannel,
    ) -> Result<(), amqprs::error::Error> {
        eprintln!("amqprs: {close}");
        self.room.close();
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Result<(), amqprs::error::Error> {
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Result<bool, amqprs::error::Error> {
        Ok(active)
    }

    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        let tag = ack.delivery_tag();
        let from = if ack.mutiple() { self.first } else { tag };
        let mut fresh = 0;
        for tag in from..=tag {
            let index = usize::try_from(tag - self.first).unwrap_or(usize::MAX);
            if self.open.len() <= index {
                self.open.resize(index + 1, true);
            }
            fresh += usize::from(std::mem::replace(&mut self.open[index], false));
        }
        while self.open.front() == Some(&false) {
            self.open.pop_front();
            self.first += 1;
        }
        self.room.add_permits(fresh);
    }

    async fn publish_nack(&mut self, _: &Channel, _: Nack) {
        self.room.close();
    }

    async fn publish_return(&mut self, _: &Channel, _: Return, _: BasicProperties, _: Vec<u8>) {
        self.room.close();
    }
}

pub(crate) fn publish(site: &Site, first: u64, warm: u64, n: u64) -> Result<Duration, Failed> {
    run(async {
        let (connection, channel) = connect(site).await?;
        let room = Arc::new(Semaphore::new(WINDOW));
        let confirms = Confirms { room: room.clone(), first: 1, open: VecDeque::new() };
        channel.register_callback(confirms).await?;
        channel.confirm_select(ConfirmSelectArguments::default()).await?;
        let properties = BasicProperties::default()
            .with_content_type("application/json")
            .with_persistence(true)
            .finish();
        let to = BasicPublishArguments::new(Site::EXCHANGE, Site::KEY);
        let fire = async |ids: std::ops::Range<u64>| {
            for id in ids {
                room.acquire().await?.forget();
                let body = serde_json::to_vec(&Order::new(id))?;
                channel.basic_publish(properties.clone(), body, to.clone()).await?;
            }
            let all = u32::try_from(WINDOW)?;
            drop(room.acquire_many(all).await?);
            Ok::<_, Failed>(())
        };
        fire(first..first + warm).await?;
        let begun = Instant::now();
        fire(first + warm..first + n).await?;
        let took = begun.elapsed();
        channel.close().await?;
        connection.close().await?;
        Ok(took)
    })
}

pub(crate) fn consume(site: &Site, first: u64, n: u64) -> Result<Duration, Failed> {
    run(async {
        let (connection, channel) = connect(site).await?;
        channel.basic_qos(BasicQosArguments::new(0, PREFETCH, false)).await?;
        let arguments = BasicConsumeArguments::new(Site::QUEUE, "bench");
        let (_tag, mut deliveries) = channel.basic_consume_rx(arguments).await?;
        let meter = Meter::new();
        meter.reset(n);
        let mut open = 0;
        while let Some(message) = deliveries.recv().await {
            let (Some(deliver), Some(body)) = (message.deliver, message.content) else {
                return Err("a delivery without a body".into());
            };
            meter.add(&serde_json::from_slice(&body)?);
            open += 1;
            if open == BATCH || meter.is_full() {
                open = 0;
                channel.basic_ack(BasicAckArguments::new(deliver.delivery_tag(), true)).await?;
            }
            if meter.is_full() {
                break;
            }
        }
        let took = finished(&meter, first, n)?;
        channel.close().await?;
        connection.close().await?;
        Ok(took)
    })
}
