//! `Consumer`, as Python sees it.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::convert::{Span, plain};
use super::done::done;
use super::errors::OrRaise;
use super::fork::Owned;
use super::message::Message;
use super::message_id::MessageId;
use super::operation::Operation;
use super::position::Position;
use super::receiving::{Receive, ReceiveMany, Source, Verbs};
use super::task;
use crate::client::consumer::{self, AckReceipt};
use crate::error::Result;
use crate::protocol::proto::CommandConsumerStatsResponse;

const VERBS: Verbs = Verbs { receive: "Consumer.receive", receive_many: "Consumer.receive_many" };

/// Receives and acknowledges the messages of one subscription. Made by `PulsarClient.consumer`.
#[pyclass(frozen, generic, weakref, module = "fastapi_pulsar")]
pub(super) struct Consumer(Owned<Source>);

/// A message, or the id of one.
enum Acknowledged<'a, 'py> {
    Message(&'a Bound<'py, Message>),
    Id(MessageId),
}

fn acknowledged<'a, 'py>(value: &'a Bound<'py, PyAny>) -> PyResult<Acknowledged<'a, 'py>> {
    if let Ok(message) = value.cast::<Message>() {
        return Ok(Acknowledged::Message(message));
    }
    match value.cast::<MessageId>() {
        Ok(id) => Ok(Acknowledged::Id(*id.get())),
        Err(_) => Err(PyTypeError::new_err("what is acknowledged must be a Message or a MessageId")),
    }
}

/// Awaitable: done already, or the broker's answer where receipts are on.
fn answer(py: Python<'_>, receipt: Option<AckReceipt>) -> PyResult<Py<PyAny>> {
    match receipt {
        None => done(py),
        Some(receipt) => Ok(Py::new(py, task::answer("Consumer.acknowledge", receipt.wait()))?.into_any()),
    }
}

impl Consumer {
    pub(super) fn new(engine: consumer::Consumer, decode: Option<Py<PyAny>>) -> Self {
        Self(Owned::new(Source { engine, decode, verbs: &VERBS }))
    }

    fn source(&self, py: Python<'_>) -> PyResult<&Source> {
        self.0.get().or_raise(py)
    }

    fn engine(&self, py: Python<'_>) -> PyResult<&consumer::Consumer> {
        Ok(&self.source(py)?.engine)
    }

    /// A verb that asks the broker and answers nothing.
    fn ask<F>(
        &self,
        py: Python<'_>,
        name: &'static str,
        verb: impl FnOnce(consumer::Consumer) -> F,
    ) -> PyResult<Operation>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        Ok(task::unit(name, verb(self.engine(py)?.clone())))
    }
}

#[pymethods]
impl Consumer {
    /// The next message.
    ///
    /// Args:
    ///     timeout: Seconds or a timedelta to wait at most; `None` waits for ever.
    ///
    /// Raises:
    ///     TimeoutError: No message arrived in time.
    ///     ClosedError: The consumer is closed.
    #[pyo3(signature = (timeout=None))]
    fn receive(&self, py: Python<'_>, timeout: Option<Span>) -> PyResult<Operation> {
        let source = self.source(py)?.clone_ref(py);
        Ok(Operation::new(Receive::new(source, timeout.map(|timeout| timeout.0))))
    }

    /// Several messages at once.
    ///
    /// Args:
    ///     max_messages: At most so many.
    ///     max_bytes: No more once their payloads reach this size.
    ///     max_wait: Seconds or a timedelta to wait for `max_messages` to arrive; then what is there is returned, which may be
    ///         nothing. `None` waits for the first message, and returns what is there with it.
    #[pyo3(signature = (max_messages=1000, *, max_bytes=None, max_wait=None))]
    fn receive_many(
        &self,
        py: Python<'_>,
        max_messages: usize,
        max_bytes: Option<usize>,
        max_wait: Option<Span>,
    ) -> PyResult<Operation> {
        let source = self.source(py)?.clone_ref(py);
        let max_wait = max_wait.map(|max_wait| max_wait.0);
        Ok(Operation::new(ReceiveMany::new(source, max_messages, max_bytes, max_wait)?))
    }

    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __anext__(&self, py: Python<'_>) -> PyResult<Operation> {
        Ok(Operation::new(Receive::next(self.source(py)?.clone_ref(py))))
    }

    /// Acknowledges a message, or one by its id. Acts at once; awaiting it is permitted, and with `ack_receipts` it waits for
    /// the broker's answer.
    ///
    /// Args:
    ///     message: A `Message` or a `MessageId`.
    ///     topic: Which topic an id belongs to, if the consumer reads several.
    ///
    /// Raises:
    ///     ClosedError: The consumer is closed.
    ///     InvalidMessageIdError: The message is of another consumer, the id of another topic.
    #[pyo3(signature = (message, *, topic=None))]
    fn acknowledge(
        &self,
        py: Python<'_>,
        message: &Bound<'_, PyAny>,
        topic: Option<&str>,
    ) -> PyResult<Py<PyAny>> {
        let engine = self.engine(py)?;
        let receipt = match acknowledged(message)? {
            Acknowledged::Message(message) => engine.acknowledge(message.get().engine(py)?),
            Acknowledged::Id(id) => engine.acknowledge_id(&id.0, topic),
        };
        answer(py, receipt.or_raise(py)?)
    }

    /// Acknowledges a message and all before it on its topic or partition; else as `acknowledge`.
    ///
    /// Raises:
    ///     NotAllowedError: The subscription is Shared or Key_Shared.
    #[pyo3(signature = (message, *, topic=None))]
    fn acknowledge_cumulative(
        &self,
        py: Python<'_>,
        message: &Bound<'_, PyAny>,
        topic: Option<&str>,
    ) -> PyResult<Py<PyAny>> {
        let engine = self.engine(py)?;
        let receipt = match acknowledged(message)? {
            Acknowledged::Message(message) => engine.acknowledge_cumulative(message.get().engine(py)?),
            Acknowledged::Id(id) => engine.acknowledge_cumulative_id(&id.0, topic),
        };
        answer(py, receipt.or_raise(py)?)
    }

    /// Has a message delivered again after a delay. Acts at once, as `acknowledge`.
    ///
    /// On Exclusive and Failover the broker redelivers everything that is not acknowledged, and counts no deliveries.
    ///
    /// Args:
    ///     message: A `Message` or a `MessageId`.
    ///     topic: Which topic an id belongs to, if the consumer reads several.
    ///     delay: Seconds or a timedelta; `None` takes the consumer's `negative_ack_delay`, which grows with each delivery.
    #[pyo3(signature = (message, *, topic=None, delay=None))]
    fn negative_acknowledge(
        &self,
        py: Python<'_>,
        message: &Bound<'_, PyAny>,
        topic: Option<&str>,
        delay: Option<Span>,
    ) -> PyResult<Py<PyAny>> {
        let engine = self.engine(py)?;
        let delay = delay.map(|delay| delay.0);
        match (acknowledged(message)?, delay) {
            (Acknowledged::Message(message), None) => engine.negative_acknowledge(message.get().engine(py)?),
            (Acknowledged::Message(message), Some(delay)) => {
                engine.negative_acknowledge_in(message.get().engine(py)?, delay)
            }
            (Acknowledged::Id(id), delay) => engine.negative_acknowledge_id(&id.0, topic, delay),
        }
        .or_raise(py)?;
        done(py)
    }

    /// Sends the acknowledgements that wait to be sent together.
    fn flush_acks(&self, py: Python<'_>) -> PyResult<Operation> {
        self.ask(py, "Consumer.flush_acks", |engine| async move { engine.flush_acks().await })
    }

    /// Moves the subscription: behind a message (with it if the consumer was made inclusive), or to the first message published
    /// at a moment or later.
    ///
    /// Args:
    ///     position: A `MessageId` (`MessageId.EARLIEST` and `LATEST` move every partition), a datetime with a time zone, or
    ///         seconds since 1970.
    ///     topic: Which topic an id belongs to, if the consumer reads several.
    #[pyo3(signature = (position, *, topic=None))]
    fn seek(&self, py: Python<'_>, position: Position, topic: Option<String>) -> PyResult<Operation> {
        self.ask(py, "Consumer.seek", |engine| async move {
            match position {
                Position::Id(id) => engine.seek_id(&id, topic.as_deref()).await,
                Position::Time(millis) => engine.seek_time(millis).await,
            }
        })
    }

    /// Asks for no more messages; those on the way still arrive.
    fn pause(&self, py: Python<'_>) -> PyResult<()> {
        self.engine(py)?.pause();
        Ok(())
    }

    /// Asks for messages again.
    fn resume(&self, py: Python<'_>) -> PyResult<()> {
        self.engine(py)?.resume();
        Ok(())
    }

    /// Has everything delivered again that is not acknowledged, at once.
    fn redeliver_unacknowledged(&self, py: Python<'_>) -> PyResult<()> {
        self.engine(py)?.redeliver_unacknowledged().or_raise(py)
    }

    /// Deletes the subscription, and closes the consumer.
    ///
    /// Args:
    ///     force: Even if others are connected to it.
    #[pyo3(signature = (*, force=false))]
    fn unsubscribe(&self, py: Python<'_>, force: bool) -> PyResult<Operation> {
        self.ask(py, "Consumer.unsubscribe", move |engine| async move { engine.unsubscribe(force).await })
    }

    /// The id of the last message of the topic, the greatest over all partitions; `None` if there is none.
    fn last_message_id(&self, py: Python<'_>) -> PyResult<Operation> {
        let engine = self.engine(py)?.clone();
        Ok(task::operation(
            "Consumer.last_message_id",
            async move { engine.last_message_id().await },
            |py, id| Ok(id.map(MessageId).into_pyobject(py)?.unbind()),
        ))
    }

    /// Whether there is a message that was not received: here, or at the broker.
    fn has_message_available(&self, py: Python<'_>) -> PyResult<Operation> {
        let engine = self.engine(py)?.clone();
        Ok(task::operation(
            "Consumer.has_message_available",
            async move { engine.has_message_available().await },
            |py, is_there| Ok(is_there.into_pyobject(py)?.to_owned().into_any().unbind()),
        ))
    }

    /// The broker's own counts for this consumer, by topic or partition.
    fn broker_stats(&self, py: Python<'_>) -> PyResult<Operation> {
        let engine = self.engine(py)?.clone();
        Ok(task::operation("Consumer.broker_stats", async move { engine.broker_stats().await }, |py, all| {
            let dict = PyDict::new(py);
            for stats in all {
                dict.set_item(&stats.topic, broker_stats(py, &stats.stats)?)?;
            }
            Ok(dict.into_any().unbind())
        }))
    }

    /// Sends the acknowledgements that wait, and leaves the subscription. May be called again.
    fn close(&self, py: Python<'_>) -> PyResult<Operation> {
        self.ask(py, "Consumer.close", |engine| async move { engine.close().await })
    }

    fn __aenter__(slf: Py<Self>) -> Operation {
        Operation::ready("Consumer.__aenter__", slf.into_any())
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) -> PyResult<Operation> {
        self.close(py)
    }

    /// The complete names of the topics asked for.
    #[getter]
    fn topics(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(self.engine(py)?.topics())
    }

    #[getter]
    fn subscription(&self, py: Python<'_>) -> PyResult<&str> {
        Ok(self.engine(py)?.subscription())
    }

    #[getter]
    fn name(&self, py: Python<'_>) -> PyResult<&str> {
        Ok(self.engine(py)?.name())
    }

    /// Messages that are here, and not received yet.
    #[getter]
    fn queued(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.engine(py)?.queued())
    }

    /// Whether every topic and partition is connected.
    #[getter]
    fn is_connected(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.engine(py)?.is_connected())
    }

    /// Whether messages may come: on Failover, whether this consumer is the active one of any partition.
    #[getter]
    fn is_active(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.engine(py)?.is_active())
    }

    #[getter]
    fn is_paused(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.engine(py)?.is_paused())
    }

    #[getter]
    fn is_closed(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.engine(py)?.is_closed())
    }

    /// Counts of what happened.
    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        plain(py, &self.engine(py)?.stats())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let engine = self.engine(py)?;
        Ok(format!("<Consumer {} of {}>", engine.subscription(), engine.topics().join(", ")))
    }
}

fn broker_stats(py: Python<'_>, stats: &CommandConsumerStatsResponse) -> PyResult<Py<PyAny>> {
    let dict = PyDict::new(py);
    dict.set_item("consumer_name", &stats.consumer_name)?;
    dict.set_item("address", &stats.address)?;
    dict.set_item("connected_since", &stats.connected_since)?;
    dict.set_item("type", &stats.r#type)?;
    dict.set_item("available_permits", stats.available_permits)?;
    dict.set_item("unacknowledged_messages", stats.unacked_messages)?;
    dict.set_item("blocked_on_unacknowledged_messages", stats.blocked_consumer_on_unacked_msgs)?;
    dict.set_item("backlog", stats.msg_backlog)?;
    dict.set_item("message_rate_out", stats.msg_rate_out)?;
    dict.set_item("message_throughput_out", stats.msg_throughput_out)?;
    dict.set_item("message_rate_redelivered", stats.msg_rate_redeliver)?;
    dict.set_item("message_rate_expired", stats.msg_rate_expired)?;
    dict.set_item("message_ack_rate", stats.message_ack_rate)?;
    Ok(dict.into_any().unbind())
}
