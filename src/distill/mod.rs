//! Distillation: SiD, SiDA and SiD2A.
