//! The canvas: the image while its components arrive.

use super::{enlarge::enlarge, frame::Frame};

/// Rows of the image. A row holds its components one after another until its colours are converted in place.
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) components: usize,
    pub(super) data: Vec<u8>,
    /// Components that are smaller than the image, until they are complete.
    small: Vec<Vec<u8>>,
}

impl Canvas {
    pub(super) fn new(frame: &Frame) -> Self {
        let components = frame.components.len();
        let data = vec![0; frame.width * frame.height * components];
        Self { width: frame.width, components, data, small: vec![Vec::new(); components] }
    }

    /// Takes samples of a component from its row `top` on, in rows of `stride`.
    pub(super) fn add(&mut self, frame: &Frame, component: usize, top: usize, samples: &[u8], stride: usize) {
        let (width, height) = (frame.components[component].width, frame.components[component].height);
        if !frame.is_full(component) {
            self.small[component].resize(width * height, 0);
        }
        for (row, y) in samples.chunks_exact(stride).zip(top..height) {
            let target = if frame.is_full(component) {
                self.row(component, y)
            } else {
                &mut self.small[component][y * width..][..width]
            };
            target.copy_from_slice(&row[..width]);
        }
    }

    /// All of a component is there.
    pub(super) fn complete(&mut self, frame: &Frame, component: usize) {
        if !frame.is_full(component) {
            let plane = std::mem::take(&mut self.small[component]);
            let row = |y: usize, row: &[u8]| {
                let width = self.width;
                self.row(component, y).copy_from_slice(&row[..width]);
            };
            enlarge(&plane, component, frame, row);
        }
    }

    fn row(&mut self, component: usize, y: usize) -> &mut [u8] {
        &mut self.data[(y * self.components + component) * self.width..][..self.width]
    }
}
