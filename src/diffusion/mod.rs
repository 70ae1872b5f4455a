//! Noise levels, samplers, teacher losses, the optimizer, EMA.
