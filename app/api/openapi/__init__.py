"""The OpenAPI document: `operations` says what each call does, `document` puts it together from the app's routes."""
