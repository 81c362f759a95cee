"""From folders of images to a manifest without twins across the split."""
