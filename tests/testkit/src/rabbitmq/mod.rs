//! Private RabbitMQ nodes, as `rabbitmq-server` of Debian 12 (3.10.8) and later ones start them.
//!
//! Most tests use one node together, [`Rabbit::shared`], and a virtual host each,
//! [`vhost`](Broker::vhost), which is there within 30 ms; a node of one's own, [`Rabbit::start`], takes
//! 2 to 5 s and 150 MB, and may be killed. [`Cluster::start`] starts several that are one.

mod amqp;
mod broker;
mod cluster;
mod epmd;
mod files;
mod management;
mod node;
mod options;
mod vhost;

pub use amqp::Depth;
pub use broker::Broker;
pub use cluster::Cluster;
pub use node::Rabbit;
pub use options::Options;
pub use vhost::{Connection, Message, QueueInfo, Routed, Vhost};
