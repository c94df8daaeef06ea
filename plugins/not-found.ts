import type { HTTPMethod } from 'find-my-way'
import createRouter from 'find-my-way'
import fp from 'fastify-plugin'
import { ApiError } from '../schemas/errors.js'
import { answer } from './errors.js'

/**
 * Answers what is no route: 405 with `Allow` for a path that has routes of other methods (RFC 9110, section 15.5.6),
 * 404 for any other.
 */
export default fp(async function notFound (app) {
  // Fastify does not say which methods a path has. This is its router, with the same routes.
  const router = createRouter({ maxParamLength: app.initialConfig.routerOptions?.maxParamLength ?? 100 })
  const methods = new Set<HTTPMethod>()

  app.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat() as HTTPMethod[]) {
      methods.add(each)
      if (!router.hasRoute(each, url)) router.on(each, url, () => {})
    }
  })

  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0]!
    const allowed = [...methods].filter(method => router.find(method, path))
    // A file that a page lacks is asked for by the right method.
    if (allowed.length === 0 || allowed.includes(request.method as HTTPMethod)) {
      return answer(
        new ApiError('route_not_found', `${request.method} ${path} is not a route`, {
          hint: 'GET /docs lists all routes'
        }),
        request,
        reply
      )
    }
    reply.header('allow', allowed.join(', '))
    return answer(
      new ApiError('method_not_allowed', `${path} does not take ${request.method}`, {
        hint: `It takes ${allowed.join(', ')}`
      }),
      request,
      reply
    )
  })
}, { name: 'not-found', dependencies: ['errors'] })
