"""Configuration as code: what is set up, written to YAML and applied from it, through the serializers of the REST
API."""
