// Draws the API's document. Nothing is asked of other hosts: there is no validator's badge.
'use strict';

const { prefix } = document.documentElement.dataset;

globalThis.SwaggerUIBundle({
  url: `${prefix}/openapi.json`,
  dom_id: '#reference',
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: -1, // the schemas of all models would fill the page
  displayRequestDuration: true,
  requestSnippetsEnabled: true,
  syntaxHighlight: { activated: true },
  validatorUrl: null,
});
