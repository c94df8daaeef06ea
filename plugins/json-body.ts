import fp from 'fastify-plugin'

/**
 * Parses JSON bodies. Many clients send the content type without a body, on a DELETE for example. That counts as no
 * body; the schema of the route decides whether it needs one.
 */
export default fp(async function jsonBody (app) {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null)
    else parse(request, String(body), done)
  })
}, { name: 'json-body' })
