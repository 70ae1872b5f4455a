//! Settings from the reference's own words: the constructor names and arguments that snapshots carry.

use serde_json::{Map, Value, json};

use super::{
    adm_config::AdmConfig,
    config::NetworkConfig,
    edm2_config::Edm2Config,
    preconditioning::Preconditioning,
    song_unet_config::{EmbeddingType, SongUNetConfig},
};
use crate::{Error, Result, formats::json_words, terminal::name};

/// Arguments that say how a network is run or trained, not what it is.
const NOT_ARCHITECTURE: [&str; 3] = ["use_fp16", "force_normalization", "use_gan"];

impl NetworkConfig {
    /// From the class of a preconditioned network and its keyword arguments, those of the wrapped model among
    /// them; arguments left out have the reference's defaults. Infinity is the string `"inf"`.
    ///
    /// # Errors
    /// An unknown class or argument, or a value that makes no sense; `origin` names the file in the message.
    pub fn from_reference(class: &str, kwargs: &Map<String, Value>, origin: &str) -> Result<Self> {
        let about = |problem: String| {
            Error::Unusable(format!("{origin}: network class `{}`: {}", name(class), name(&problem)))
        };
        let mut arguments = Arguments(kwargs.clone());
        for name in NOT_ARCHITECTURE {
            arguments.0.shift_remove(name);
        }
        match class {
            "EDMPrecond" | "EDMPrecond_EncoderDecoder" | "VPPrecond" | "VEPrecond" | "iDDPMPrecond" => {
                arguments.edm(class).map_err(about)
            }
            "Precond" | "EDM_2_Precond_EncoderDecoder" => arguments.edm2(true).map_err(about),
            "EDM_2_Precond_Generator" => arguments.edm2(false).map_err(about),
            _ => Err(about("is not one of EDM's, EDM2's or SiDA's".to_owned())),
        }
    }
}

struct Arguments(Map<String, Value>);

impl Arguments {
    fn edm(mut self, class: &str) -> Result<NetworkConfig, String> {
        let preconditioning = self.preconditioning(class)?;
        let takes_range = matches!(class, "EDMPrecond" | "EDMPrecond_EncoderDecoder" | "VEPrecond");
        let (own_min, own_max) = match class {
            "VEPrecond" => (0.02, 100.0),
            _ => (0.0, f64::INFINITY),
        };
        let unless_own = |value: Option<f64>, own: f64| value.filter(|v| v.to_bits() != own.to_bits());
        // Our settings know these for all preconditionings, the reference's classes do not.
        let foreign = |name: &&str| match *name {
            "sigma_data" => preconditioning != Preconditioning::Edm,
            _ => !takes_range,
        };
        let mut foreign = ["sigma_data", "sigma_min", "sigma_max"].into_iter().filter(foreign);
        if let Some(name) = foreign.find(|name| self.0.contains_key(*name)) {
            return Err(format!("takes no argument `{name}`"));
        }
        let sigma_min = unless_own(self.real("sigma_min")?, own_min);
        let sigma_max = unless_own(self.real("sigma_max")?, own_max);
        let model = match self.0.shift_remove("model_type") {
            Some(Value::String(name)) => name,
            Some(other) => return Err(format!("`model_type` is {other}")),
            None if matches!(class, "VPPrecond" | "VEPrecond") => "SongUNet".to_owned(),
            None => "DhariwalUNet".to_owned(),
        };
        self.0.insert("preconditioning".to_owned(), json!(preconditioning));
        match model.trim_end_matches("_EncoderDecoder") {
            "SongUNet" => {
                let config: SongUNetConfig = self.parse()?;
                let config = SongUNetConfig { sigma_min, sigma_max, ..config };
                Ok(if config.embedding_type == EmbeddingType::Fourier {
                    NetworkConfig::Ncsnpp(config)
                } else {
                    NetworkConfig::Ddpmpp(config)
                })
            }
            "DhariwalUNet" => {
                let config: AdmConfig = self.parse()?;
                Ok(NetworkConfig::Adm(AdmConfig { sigma_min, sigma_max, ..config }))
            }
            _ => Err(format!("its model `{model}` is not one of EDM's")),
        }
    }

    fn edm2(mut self, logvar: bool) -> Result<NetworkConfig, String> {
        if self.0.contains_key("logvar") {
            return Err("takes no argument `logvar`".to_owned());
        }
        self.0.insert("logvar".to_owned(), json!(logvar));
        let config: Edm2Config = self.parse()?;
        Ok(NetworkConfig::Edm2(config))
    }

    /// The arguments under our names; our types have the reference's defaults and refuse unknown names.
    fn parse<T: serde::de::DeserializeOwned>(self) -> Result<T, String> {
        serde_json::from_value(Value::Object(self.0)).map_err(|e| json_words(&e))
    }

    fn preconditioning(&mut self, class: &str) -> Result<Preconditioning, String> {
        if self.0.contains_key("preconditioning") {
            return Err("takes no argument `preconditioning`".to_owned());
        }
        let (name, renamed): (&str, &[(&str, &str)]) = match class {
            "VPPrecond" => (
                "vp",
                &[
                    ("beta_d", "beta_d"),
                    ("beta_min", "beta_min"),
                    ("M", "timesteps"),
                    ("epsilon_t", "epsilon_t"),
                ],
            ),
            "iDDPMPrecond" => ("iddpm", &[("C_1", "c_1"), ("C_2", "c_2"), ("M", "timesteps")]),
            "VEPrecond" => return Ok(Preconditioning::Ve),
            _ => return Ok(Preconditioning::Edm),
        };
        let mut constants = Map::new();
        for (theirs, ours) in renamed {
            if let Some(value) = self.0.shift_remove(*theirs) {
                constants.insert((*ours).to_owned(), value);
            }
        }
        serde_json::from_value(json!({ name: constants })).map_err(|e| json_words(&e))
    }

    fn real(&mut self, name: &str) -> Result<Option<f64>, String> {
        match self.0.shift_remove(name) {
            None => Ok(None),
            Some(Value::String(text)) if text == "inf" => Ok(Some(f64::INFINITY)),
            Some(value) => value.as_f64().map(Some).ok_or(format!("`{name}` is {value}, not a number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(class: &str, kwargs: Value) -> Result<NetworkConfig> {
        let Value::Object(kwargs) = kwargs else { unreachable!("tests give objects") };
        NetworkConfig::from_reference(class, &kwargs, "a.pkl")
    }

    #[test]
    fn arguments_left_out_have_the_references_defaults() {
        let found = from("EDMPrecond", json!({"img_resolution": 64, "model_type": "SongUNet"})).unwrap();
        let same: SongUNetConfig = serde_json::from_str(r#"{"img_resolution": 64}"#).unwrap();
        assert_eq!(found, NetworkConfig::Ddpmpp(same));
        let found = from("EDMPrecond", json!({"img_resolution": 64, "sigma_max": "inf"})).unwrap();
        assert!(matches!(found, NetworkConfig::Adm(c) if c.model_channels == 192 && c.sigma_max.is_none()));
        let found = from("VEPrecond", json!({"img_resolution": 64, "sigma_max": 50})).unwrap();
        assert_eq!(found.sigma_range(), (0.02, 50.0));
        let found = from("EDM_2_Precond_Generator", json!({"img_resolution": 64})).unwrap();
        assert!(matches!(found, NetworkConfig::Edm2(c) if !c.logvar && c.clip_act == Some(256.0)));
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        let message = |found: Result<NetworkConfig>| found.unwrap_err().to_string();
        assert!(message(from("os.system", json!({}))).contains("`os.system`"));
        assert!(
            message(from("VPPrecond", json!({"img_resolution": 8, "model_type": "SongUNet", "beta": 1})))
                .contains("`beta`")
        );
        let range = message(from("VPPrecond", json!({"img_resolution": 8, "sigma_min": 1})));
        assert!(range.contains("`sigma_min`"));
        assert!(
            message(from("EDMPrecond", json!({"img_resolution": 8, "model_type": "MLP"}))).contains("`MLP`")
        );
        assert!(message(from("EDMPrecond", json!({}))).contains("img_resolution"));
    }
}
