import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import pageHeaders from '../../plugins/page-headers.js'
import { catalogue } from '../../schemas/errors.js'

/** The page that the `type` of a problem refers to (RFC 9457, section 3.1.1). */
const routes: FastifyPluginAsyncTypebox = async app => {
  await app.register(pageHeaders)

  const entries = Object.entries(catalogue).map(([code, { status, title }]) =>
    `<dt id="${code}"><code>${code}</code> (${status})</dt><dd>${title}.</dd>`
  )
  const page =
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Errors of the System ' +
      `Manager</title><h1>Errors</h1><dl>${entries.join('\n')}</dl></html>\n`

  app.get('/errors', { schema: { hide: true } }, async (_request, reply) => {
    reply.type('text/html; charset=utf-8')
    return page
  })
}
export default routes
