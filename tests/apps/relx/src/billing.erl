%% Tells what it was configured with, and goes on.
-module(billing).
-behaviour(application).
-behaviour(supervisor).
-export([start/2, stop/1, init/1]).

start(_Type, _Args) ->
    {ok, Url} = application:get_env(billing, url),
    Seen = #{
        node => node(),
        cookie => erlang:get_cookie(),
        url => list_to_binary(Url),
        home => list_to_binary(os:getenv("HOME"))
    },
    File = os:getenv("RELX_OUT_FILE_PATH") ++ "/seen.json",
    ok = file:write_file(File ++ ".new", jiffy:encode(Seen)),
    ok = file:rename(File ++ ".new", File),
    supervisor:start_link(?MODULE, []).

stop(_State) ->
    ok.

init([]) ->
    {ok, {#{}, []}}.
