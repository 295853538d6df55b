//! Where to seek to.

use pyo3::prelude::*;

use super::convert::Moment;
use super::message_id::MessageId;
use crate::protocol::message_id;

pub(super) enum Position {
    Id(message_id::MessageId),
    /// Milliseconds since 1970.
    Time(u64),
}

impl<'py> FromPyObject<'_, 'py> for Position {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match value.cast::<MessageId>() {
            Ok(id) => Ok(Self::Id(id.get().0)),
            Err(_) => Ok(Self::Time(value.extract::<Moment>()?.0)),
        }
    }
}
