//! What is put into a mailbox at once, and what it stands for.

use std::sync::Arc;

use super::Service;
use crate::binding::Binding;
use crate::delivery::Delivery;
use crate::message::{MessageRef, Whole};
use crate::router::Target;

/// One enqueue.
pub(crate) enum Entry {
    /// A message that comes for the first time, for every handler that it has in this service; with what
    /// of that runs as a whole, so that nobody has to look into the message for it.
    First(MessageRef, Option<Whole>),
    /// A delivery on its own.
    One(Box<Delivery>),
}

impl Entry {
    /// Of a call that comes for the first time.
    pub(crate) fn call(call: MessageRef) -> Self {
        let whole = call.plain_call().map(|_| Whole::Call);
        Self::First(call, whole)
    }

    /// Of a delivery on its own.
    pub(crate) fn one(delivery: Delivery) -> Self {
        Self::One(Box::new(delivery))
    }

    /// The handler and the message of what is one delivery, whatever the service.
    pub(crate) fn single(&self) -> Option<(&Arc<Binding>, &MessageRef)> {
        match self {
            Self::One(delivery) => Some((&delivery.binding, &delivery.message)),
            Self::First(message, _) => message.handler().map(|binding| (binding, message)),
        }
    }

    /// As one delivery; gives an event back.
    pub(crate) fn into_single(self) -> Result<Delivery, Self> {
        match self {
            Self::One(delivery) => Ok(*delivery),
            Self::First(message, whole) => match message.handler().cloned() {
                Some(binding) => Ok(Delivery::first(binding, message)),
                None => Err(Self::First(message, whole)),
            },
        }
    }

    /// Looks at the handler of each delivery to `service`.
    pub(crate) fn each(&self, service: &Service, look: &mut impl FnMut(&Arc<Binding>)) {
        match (self.single(), self) {
            (Some((binding, _)), _) => look(binding),
            (None, Self::First(message, _)) => {
                for target in targets(message, service) {
                    look(&target.binding);
                }
            }
            (None, Self::One(_)) => {}
        }
    }

    /// The single deliveries to `service`, in the order of the route.
    pub(crate) fn deliveries(self, service: &Service) -> Vec<Delivery> {
        match self.into_single() {
            Ok(delivery) => vec![delivery],
            Err(Self::First(message, _)) => {
                let targets = targets(&message, service).iter();
                targets.map(|target| target.delivery(&message, 1)).collect()
            }
            Err(Self::One(delivery)) => vec![*delivery],
        }
    }
}

/// The listeners of a service that an event is for.
pub(crate) fn targets<'a>(message: &'a MessageRef, service: &Service) -> &'a [Target] {
    let group = message.route().and_then(|route| route.group(service));
    group.map_or(&[], |group| &group.targets)
}
