//! `send` and `send_many`: into the open batch at the first step, and one wake-up when the broker has answered.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBytes, PyList};

use super::errors::to_py;
use super::message_id::MessageId;
use super::operation::{Polled, Verb};
use super::signal::Signal;
use crate::client::producer::{
    Completion, GroupResults, OutgoingMessage, Payload, Producer, SendGroup, SendTicket,
};
use crate::error::Result;
use crate::protocol::message_id;

pub(super) struct Send {
    producer: Producer,
    /// Taken when it is sent.
    message: Option<(Py<PyBytes>, OutgoingMessage<'static>)>,
    ticket: Option<SendTicket>,
    answer: Arc<Signal<Result<message_id::MessageId>>>,
}

impl Send {
    pub(super) fn new(producer: Producer, payload: Py<PyBytes>, message: OutgoingMessage<'static>) -> Self {
        Self { producer, message: Some((payload, message)), ticket: None, answer: Signal::new() }
    }
}

impl Verb for Send {
    fn name(&self) -> &'static str {
        "Producer.send"
    }

    fn poll(&mut self, py: Python<'_>) -> PyResult<Polled> {
        if let Some((payload, message)) = self.message.take() {
            let answer = Arc::clone(&self.answer);
            let completion = Completion::Callback(Box::new(move |result| answer.set(result)));
            let message = OutgoingMessage { payload: Payload::Lent(payload.as_bytes(py)), ..message };
            self.ticket = Some(self.producer.send(message, completion).map_err(|error| to_py(py, &error))?);
        }
        match self.answer.take() {
            Some(Ok(id)) => Ok(Polled::Ready(Py::new(py, MessageId(id))?.into_any())),
            Some(Err(error)) => Err(to_py(py, &error)),
            None => Ok(Polled::Pending(self.answer.clone(), None)),
        }
    }

    /// What waits for room is taken back; what was admitted will be sent.
    fn cancel(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.producer.cancel(ticket);
        }
    }
}

pub(super) struct SendMany {
    producer: Producer,
    /// Taken when they are sent.
    payloads: Option<Vec<Py<PyBytes>>>,
    /// Where each goes, if the caller's own function chose.
    partitions: Option<Vec<u32>>,
    tickets: Vec<SendTicket>,
    answer: Arc<Signal<GroupResults>>,
}

impl SendMany {
    pub(super) fn new(producer: Producer, payloads: Vec<Py<PyBytes>>, partitions: Option<Vec<u32>>) -> Self {
        Self { producer, payloads: Some(payloads), partitions, tickets: Vec::new(), answer: Signal::new() }
    }

    fn send(&mut self, py: Python<'_>, payloads: &[Py<PyBytes>]) -> PyResult<()> {
        let len = u32::try_from(payloads.len()).map_err(|_| PyValueError::new_err("too many values"))?;
        let answer = Arc::clone(&self.answer);
        let group = SendGroup::new(len, move |results| answer.set(results));
        let slices = payloads.iter().map(|payload| payload.as_bytes(py));
        match self.partitions.take() {
            None => {
                let ticket = self.producer.send_group(&group, 0, slices);
                self.tickets.push(ticket.map_err(|error| to_py(py, &error))?);
            }
            Some(partitions) => {
                for ((index, payload), partition) in (0..).zip(slices).zip(partitions) {
                    let payload = Payload::Lent(payload);
                    let message =
                        OutgoingMessage { payload, partition: Some(partition), ..Default::default() };
                    let completion = Completion::Slot { group: Arc::clone(&group), index };
                    match self.producer.send(message, completion) {
                        Ok(ticket) => self.tickets.push(ticket),
                        Err(error) => group.fail(index, error),
                    }
                }
            }
        }
        Ok(())
    }
}

impl Verb for SendMany {
    fn name(&self) -> &'static str {
        "Producer.send_many"
    }

    fn poll(&mut self, py: Python<'_>) -> PyResult<Polled> {
        if let Some(payloads) = self.payloads.take() {
            self.send(py, &payloads)?;
        }
        match self.answer.take() {
            Some(results) if results.all_confirmed() => {
                let ids = results.iter().filter_map(Result::ok);
                let list = ids.map(|id| Py::new(py, MessageId(id))).collect::<PyResult<Vec<_>>>()?;
                Ok(Polled::Ready(PyList::new(py, list)?.into_any().unbind()))
            }
            Some(results) => Err(some_failed(py, &results, &self.producer)?),
            None => Ok(Polled::Pending(self.answer.clone(), None)),
        }
    }

    /// Those that wait for room are taken back; those admitted will be sent.
    fn cancel(&mut self) {
        for ticket in self.tickets.drain(..) {
            self.producer.cancel(ticket);
        }
    }
}

/// The exception of a group of which not all were stored.
fn some_failed(py: Python<'_>, results: &GroupResults, producer: &Producer) -> PyResult<PyErr> {
    let list = PyList::empty(py);
    let mut failures = 0;
    let mut first = None;
    for result in results.iter() {
        match result {
            Ok(id) => list.append(MessageId(id))?,
            Err(error) => {
                failures += 1;
                list.append(to_py(py, &error).into_value(py))?;
                first.get_or_insert(error);
            }
        }
    }
    let reason = first.map(|error| error.context().to_owned()).unwrap_or_default();
    let message =
        format!("{failures} of {} messages were not stored, the first because: {reason}", results.len());
    let keywords =
        [("topic", producer.topic().to_string().into_pyobject(py)?.into_any()), ("results", list.into_any())];
    let class = py.import("fastapi_pulsar.exceptions.pulsar")?.getattr("SendManyError")?;
    Ok(PyErr::from_value(class.call((message,), Some(&keywords.into_py_dict(py)?))?))
}
