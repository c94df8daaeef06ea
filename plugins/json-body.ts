import fp from 'fastify-plugin'

/**
 * JSON bodies. Many clients name the content type on requests that have no body, a DELETE for one: that is no body, and
 * whether one is needed is for the route's schema to say.
 */
export default fp(async function jsonBody (app) {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null)
    else parse(request, String(body), done)
  })
}, { name: 'json-body' })
