//! A value kept in a TEXT column as JSON: the same on both engines, which a native JSON type is not.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};

/// Wraps a value whose column holds JSON text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json<T>(pub T);

impl<T> Deref for Json<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Json<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
