import Config

if config_env() == :prod do
  config :foo, Foo.Repo,
    url: System.fetch_env!("DATABASE_URL"),
    ca: File.read!("/etc/foo/tls/ca.pem")

  config :foo, FooWeb.Endpoint,
    secret_key_base: System.fetch_env!("SECRET_KEY_BASE"),
    host: System.fetch_env!("PHX_HOST"),
    port: String.to_integer(System.get_env("PORT") || "4000")
end
