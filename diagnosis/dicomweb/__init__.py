"""DICOMweb (PS3.18): search, retrieve and store over HTTP, under the permissions of the pages and the REST API."""
