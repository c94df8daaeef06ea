import helmet from '@fastify/helmet'
import fp from 'fastify-plugin'

/** Scopes with pages for browsers register it: elsewhere its headers would only cost. */
export const autoload = false

/** Tells browsers what the pages may do: nothing of other hosts, no inline scripts, no frames. */
export default fp(async function pageHeaders (app) {
  await app.register(helmet, {
    contentSecurityPolicy: {
      directives: {
        // It would break the pages wherever the server speaks plain HTTP.
        upgradeInsecureRequests: null,
        fontSrc: ["'self'", 'data:'],
        // The page of @fastify/swagger-ui has inline styles.
        styleSrc: ["'self'", "'unsafe-inline'"]
      }
    },
    // Whether there is TLS is for who terminates it to say.
    strictTransportSecurity: false
  })
}, { name: 'page-headers' })
