"""ZTFM adapters: what runs beside the federated-learning job or the model server."""
