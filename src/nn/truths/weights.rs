//! Weights that go in and come out, and those that are refused.

use burn::module::Module;

use super::*;
use crate::Error;

#[test]
fn weights_come_back_as_they_were_loaded_in_the_order_of_registration() {
    let device = Device::flex();
    for config in all() {
        let weights = lively(&config);
        let network = config.load(&weights, "a test", &device).unwrap();
        let state = network.state_dict();
        assert_eq!(state.keys().collect::<Vec<_>>(), weights.keys().collect::<Vec<_>>());
        for (name, data) in &weights {
            assert_eq!(state[name], *data, "{name}");
        }
        let parameters: Vec<_> = network.entries().iter().filter(|e| e.is_parameter()).collect();
        assert_eq!(network.parameter_names().len(), parameters.len());
        assert_eq!(
            network.num_params(),
            parameters.iter().map(|e| e.shape.iter().product::<usize>()).sum::<usize>()
        );
    }
}

#[test]
fn weights_that_do_not_fit_are_refused_by_name() {
    let device = Device::flex();
    let config = NetworkConfig::Ddpmpp(ddpmpp());
    let weights = lively(&config);
    let name = "model.enc.8x8_conv.weight";
    let load = |weights: &StateDict| config.load(weights, "a.pkl", &device).map(|_| ()).unwrap_err();

    let mut changed = weights.clone();
    changed.shift_remove(name);
    assert!(matches!(load(&changed), Error::MissingTensor { tensor, .. } if tensor == name));
    let mut changed = weights.clone();
    changed.insert("model.extra".to_owned(), TensorData::zeros::<f32, _>([1]));
    assert!(matches!(load(&changed), Error::UnexpectedTensor { tensor, .. } if tensor == "model.extra"));
    let mut changed = weights.clone();
    changed[name] = TensorData::zeros::<f32, _>([8, 3, 3, 1]);
    assert!(matches!(load(&changed), Error::ShapeMismatch { found, .. } if found == [8, 3, 3, 1]));
    let mut changed = weights.clone();
    changed[name] = TensorData::zeros::<i64, _>([8, 3, 3, 3]);
    assert!(load(&changed).to_string().contains(name));
    let mut changed = weights;
    let filter = "model.enc.4x4_down.conv0.resample_filter";
    changed[filter] = TensorData::zeros::<f32, _>([1, 1, 2, 2]);
    assert!(load(&changed).to_string().contains(filter));
}

#[test]
fn weights_of_other_precisions_become_float32() {
    let device = Device::flex();
    let config = NetworkConfig::Ddpmpp(ddpmpp());
    let weights = lively(&config);
    let in_other = |dtype: DType| -> StateDict {
        weights.iter().map(|(name, data)| (name.clone(), data.clone().convert_dtype(dtype))).collect()
    };
    let exact = config.load(&in_other(DType::F64), "a.pkl", &device).unwrap().state_dict();
    assert_eq!(exact, weights);
    let halved = config.load(&in_other(DType::F16), "a.pkl", &device).unwrap().state_dict();
    assert!(halved.values().all(|data| data.dtype() == DType::F32));
    assert_ne!(halved, weights);
}
