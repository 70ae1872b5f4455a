//! Values on their way to the host.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{self, Poll, Waker},
};

use burn_backend::{Bytes, DType, TensorData};
use burn_cubecl::{kernel::into_contiguous_aligned, tensor::CubeTensor};
use cubecl::{
    future::block_on,
    server::{CopyDescriptor, ServerError},
    zspace::Shape,
};

type Copied = Result<Bytes, ServerError>;

/// A copy to the host that has begun.
#[must_use]
pub struct Reading {
    copy: Option<Pin<Box<dyn Future<Output = Copied> + Send>>>,
    shape: Shape,
    dtype: DType,
}

impl Reading {
    /// Begins to copy a tensor: behind all that was launched before, and ahead of all that will be. Burn's own reads begin
    /// when somebody looks at the values, by when the device may have much else to do first.
    pub fn begin(tensor: CubeTensor) -> Self {
        let tensor = into_contiguous_aligned(tensor);
        let (shape, strides) = (tensor.meta.shape().clone(), tensor.meta.strides().clone());
        let (dtype, client) = (tensor.dtype, tensor.client.clone());
        let source = CopyDescriptor::new(tensor.handle.binding(), shape.clone(), strides, dtype.size());
        let mut copy = Box::pin(async move {
            // The call queues the copy; to ask what it returns is to wait for it.
            let copy = client.read_one_tensor_async(source);
            pause().await;
            copy.await
        });
        let begun = copy.as_mut().poll(&mut task::Context::from_waker(Waker::noop()));
        assert!(begun.is_pending(), "it pauses");
        Self { copy: Some(copy), shape, dtype }
    }

    /// Waits for the copy, and for nothing that was launched after it.
    ///
    /// # Panics
    /// Where what was computed cannot be read, as Burn's own reads do.
    pub fn wait(mut self) -> TensorData {
        let copy = self.copy.take().expect("it is waited for once");
        let bytes =
            block_on(copy).unwrap_or_else(|error| panic!("what was computed cannot be read: {error}"));
        TensorData::from_bytes(bytes, self.shape.clone(), self.dtype)
    }
}

/// Is not ready when it is asked first.
async fn pause() {
    let mut asked = false;
    poll_fn(|_| if std::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

impl Drop for Reading {
    /// Until the copy is made, the memory that it goes to is not free for others.
    fn drop(&mut self) {
        if let Some(copy) = self.copy.take() {
            let _ = block_on(copy);
        }
    }
}
