"""One module for each DICOMweb service."""
