//! The settings that DDPM++, NCSN++ and ADM have in common, each written once.

// A struct of these settings. Four of them come with each architecture's own default, two of these in its own words;
// what it alone has stands before `preconditioning`.
macro_rules! edm_config {
    (
        $(#[$doc:meta])*
        $name:ident {
            $(#[$model_channels:meta])* model_channels,
            $(#[$channel_mult:meta])* channel_mult,
            $(#[$num_blocks:meta])* num_blocks,
            $(#[$attn_resolutions:meta])* attn_resolutions,
            $($own:tt)*
        }
    ) => {
        $(#[$doc])*
        #[serde_inline_default]
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Side of the square images, in pixels.
            #[schemars(range(min = 1, max = 4096))]
            pub img_resolution: usize,
            /// Colour channels of the images.
            #[serde_inline_default(3)]
            #[schemars(range(min = 1, max = 65536))]
            pub img_channels: usize,
            /// Number of classes; 0 makes the network unconditional.
            #[serde(default)]
            #[schemars(range(max = 16777216))]
            pub label_dim: usize,
            /// Width of the augmentation labels; 9 for networks trained with augmentation, else 0.
            #[serde(default)]
            #[schemars(range(max = 65536))]
            pub augment_dim: usize,
            $(#[$model_channels])*
            #[schemars(range(min = 4, max = 1073741824))]
            pub model_channels: usize,
            /// Channels of each level in multiples of `model_channels`; every level halves the resolution.
            $(#[$channel_mult])*
            #[schemars(length(min = 1), inner(range(min = 1, max = 65536)))]
            pub channel_mult: Vec<usize>,
            /// Width of the conditioning vector in multiples of `model_channels`.
            #[serde_inline_default(4)]
            #[schemars(range(min = 1, max = 65536))]
            pub channel_mult_emb: usize,
            /// Residual blocks per level of the encoder; the decoder has one more.
            $(#[$num_blocks])*
            #[schemars(range(min = 1, max = 1073741824))]
            pub num_blocks: usize,
            $(#[$attn_resolutions])*
            #[schemars(inner(range(max = 4096)))]
            pub attn_resolutions: Vec<usize>,
            /// Share of activations that training drops in every block.
            #[serde_inline_default(0.10)]
            #[schemars(range(min = 0.0, max = 0.99))]
            pub dropout: f64,
            /// Share of samples whose class labels training drops.
            #[serde(default)]
            #[schemars(range(min = 0.0, max = 1.0))]
            pub label_dropout: f64,
            $($own)*
            /// How images, noise and the raw network make a denoiser.
            #[serde(default)]
            pub preconditioning: Preconditioning,
            /// Standard deviation of the images in [-1, 1] that the network expects (`edm` only).
            #[serde_inline_default(0.5)]
            #[schemars(range(min = 0.001, max = 1000.0))]
            pub sigma_data: f64,
            /// Lowest noise level that samplers may use; by default the preconditioning's own.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(range(min = 0.0, max = 1000000.0))]
            pub sigma_min: Option<f64>,
            /// Highest noise level that samplers may use; by default the preconditioning's own.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(range(min = 0.0, max = 1000000.0))]
            pub sigma_max: Option<f64>,
        }
    };
}
pub(super) use edm_config;
