"""AUTOMATIC1111's API, `/sdapi/v1`, for its clients. Off unless `ATELIER_SDAPI=1`."""
