//! Images: datasets, the order in which they are drawn, augmentation, grids.
