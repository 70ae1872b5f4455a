//! In which order a device keeps the values of a parameter.

use burn::tensor::{DType, Device, Shape, Tensor};

use super::host::is_host;

/// In which order a device keeps the values of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightOrder {
    /// As its shape says.
    Rows,
    /// A convolution's weight `[k, c, kh, kw]` lies as `[k, kh, kw, c]`, and is seen through a view: GPUs read it so, and
    /// would copy it for every pass. All others as their shapes say.
    ChannelsLast,
}

impl WeightOrder {
    /// The order on this device.
    pub fn of(device: &Device) -> Self {
        if is_host(device) { Self::Rows } else { Self::ChannelsLast }
    }

    fn moves(self, dims: usize) -> bool {
        self == Self::ChannelsLast && dims == 4
    }

    /// A parameter's values as they lie; nothing is copied where they lie in this order.
    pub fn flatten<const D: usize>(self, parameter: Tensor<D>) -> Tensor<1> {
        let length = parameter.shape().num_elements();
        let lying = if self.moves(D) { last(parameter) } else { parameter };
        lying.reshape([length])
    }

    /// The parameter of this shape whose values lie so: a view.
    pub fn shaped<const D: usize>(self, flat: Tensor<1>, shape: Shape) -> Tensor<D> {
        if !self.moves(D) {
            return flat.reshape(shape);
        }
        let [k, c, kh, kw] = shape.dims();
        first(flat.reshape::<D, _>(Shape::from(vec![k, kh, kw, c])))
    }

    /// A parameter in this order, whatever order it was in.
    pub fn laid<const D: usize>(self, parameter: Tensor<D>) -> Tensor<D> {
        if !self.moves(D) {
            return parameter;
        }
        let shape = parameter.shape();
        self.shaped(self.flatten(parameter), shape)
    }

    /// A parameter in another type, in the order that it is in.
    pub fn cast<const D: usize>(self, parameter: Tensor<D>, dtype: DType) -> Tensor<D> {
        if parameter.dtype() == dtype {
            return parameter;
        }
        if !self.moves(D) {
            return parameter.cast(dtype);
        }
        first(last(parameter).cast(dtype))
    }

    /// Values of a parameter of this shape, as the shape says, from those that lie in this order.
    pub fn rows(self, lying: &[f32], shape: &[usize]) -> Vec<f32> {
        let &[k, c, kh, kw] = shape else { return lying.to_vec() };
        if !self.moves(4) {
            return lying.to_vec();
        }
        let area = kh * kw;
        let at = |i: usize| {
            let (row, channel, position) = (i / (c * area), i / area % c, i % area);
            lying[row * c * area + position * c + channel]
        };
        (0..k * c * area).map(at).collect()
    }
}

/// `[k, c, kh, kw]` => `[k, kh, kw, c]`, a view
fn last<const D: usize>(weight: Tensor<D>) -> Tensor<D> {
    weight.swap_dims(1, 2).swap_dims(2, 3)
}

/// `[k, kh, kw, c]` => `[k, c, kh, kw]`, a view
fn first<const D: usize>(weight: Tensor<D>) -> Tensor<D> {
    weight.swap_dims(2, 3).swap_dims(1, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_with_channels_last_comes_back_as_it_was() {
        let values: Vec<f32> = (0..2 * 3 * 2 * 5).map(|i| i as f32).collect();
        let shape = [2, 3, 2, 5];
        let weight = Tensor::<1>::from_floats(values.as_slice(), &Device::flex()).reshape(shape);
        let order = WeightOrder::ChannelsLast;
        let flat = order.flatten::<4>(weight.clone());
        let lying: Vec<f32> = flat.clone().into_data().try_into_vec().unwrap();
        assert_eq!(lying[..4], [0.0, 10.0, 20.0, 1.0], "the channels of the first pixel, then of the next");
        assert_eq!(order.rows(&lying, &shape), values);
        assert_eq!(order.shaped::<4>(flat, weight.shape()).into_data(), weight.clone().into_data());
        assert_eq!(order.laid(weight.clone()).into_data(), weight.clone().into_data());
        assert_eq!(order.cast(weight.clone(), DType::F64).into_data(), weight.cast(DType::F64).into_data());
        assert_eq!(WeightOrder::of(&Device::flex().autodiff()), WeightOrder::Rows);
    }
}
